package seal

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
)

// Identity is a party's long-term keys. It is a secret.
type Identity struct {
	signing ed25519.PrivateKey
	sealing *ecdh.PrivateKey
}

// Public is what the other parties know of an identity, and must not have from the router.
type Public struct {
	signing ed25519.PublicKey
	sealing *ecdh.PublicKey
}

const keyBytes = 32

var errNoKeys = errors.New("not a pair of keys: 64 bytes of base64")

// NewIdentity makes fresh keys.
func NewIdentity() (*Identity, error) {
	_, signing, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	sealing, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Identity{signing, sealing}, nil
}

// Public is the half to hand to the others.
func (i *Identity) Public() *Public {
	return &Public{i.signing.Public().(ed25519.PublicKey), i.sealing.PublicKey()}
}

// MarshalText writes both secrets as base64.
func (i *Identity) MarshalText() ([]byte, error) { return encode(i.signing.Seed(), i.sealing.Bytes()) }

// UnmarshalText reads what MarshalText wrote.
func (i *Identity) UnmarshalText(text []byte) error {
	signing, sealing, err := decode(text)
	if err != nil {
		return err
	}
	i.signing = ed25519.NewKeyFromSeed(signing)
	i.sealing, err = ecdh.X25519().NewPrivateKey(sealing)
	return err
}

// MarshalText writes both keys as base64.
func (p *Public) MarshalText() ([]byte, error) { return encode(p.signing, p.sealing.Bytes()) }

// UnmarshalText reads what MarshalText wrote.
func (p *Public) UnmarshalText(text []byte) error {
	signing, sealing, err := decode(text)
	if err != nil {
		return err
	}
	p.signing = signing
	p.sealing, err = ecdh.X25519().NewPublicKey(sealing)
	return err
}

func encode(signing, sealing []byte) ([]byte, error) {
	both := append(append([]byte{}, signing...), sealing...)
	return base64.StdEncoding.AppendEncode(nil, both), nil
}

func decode(text []byte) (signing, sealing []byte, err error) {
	both, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil || len(both) != 2*keyBytes {
		return nil, nil, errNoKeys
	}
	return both[:keyBytes], both[keyBytes:], nil
}
