// Package seal protects what parties send each other from whoever carries it: a message to one party is sealed to it
// (HPKE, RFC 9180: X25519, HKDF-SHA256, AES-128-GCM), and every message is signed (Ed25519). Moved to another session,
// round, sender or recipient, it does not open.
package seal

import (
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

const label = "mpc-router/go-party/v1"

// Header says where a message belongs.
type Header struct {
	SessionID string
	From      string
	// To is empty for a broadcast, which is signed and not sealed: it is for everybody.
	To    string
	Round int
	Type  string
	// Key is the public key that signers use, in hex, lest they use different ones; empty while it is made.
	Key string
}

var errNotGenuine = errors.New("the message is not genuine")

// Seal makes what travels: the signature, then the payload, sealed if it is for one party.
func (i *Identity) Seal(header Header, recipient *Public, plain []byte) ([]byte, error) {
	body := plain
	if header.To != "" {
		key, err := hpke.NewDHKEMPublicKey(recipient.sealing)
		if err != nil {
			return nil, fmt.Errorf("seal to %s: %w", header.To, err)
		}
		if body, err = hpke.Seal(key, hpke.HKDFSHA256(), hpke.AES128GCM(), header.bytes(), plain); err != nil {
			return nil, fmt.Errorf("seal to %s: %w", header.To, err)
		}
	}
	signature := ed25519.Sign(i.signing, append(header.bytes(), body...))
	return append(signature, body...), nil
}

// Open gives the payload, if the sender made it for this place. It says no more than that it did not.
func (i *Identity) Open(header Header, sender *Public, sealed []byte) ([]byte, error) {
	if len(sealed) < ed25519.SignatureSize {
		return nil, errNotGenuine
	}
	signature, body := sealed[:ed25519.SignatureSize], sealed[ed25519.SignatureSize:]
	if !ed25519.Verify(sender.signing, append(header.bytes(), body...), signature) {
		return nil, errNotGenuine
	}
	if header.To == "" {
		return body, nil
	}
	key, err := hpke.NewDHKEMPrivateKey(i.sealing)
	if err != nil {
		return nil, err
	}
	plain, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.AES128GCM(), header.bytes(), body)
	if err != nil {
		return nil, errNotGenuine
	}
	return plain, nil
}

// bytes are never the same for two headers: each field comes with its length.
func (h Header) bytes() []byte {
	bytes := []byte(label)
	for _, field := range []string{h.SessionID, h.From, h.To, strconv.Itoa(h.Round), h.Type, h.Key} {
		bytes = append(binary.AppendUvarint(bytes, uint64(len(field))), field...)
	}
	return bytes
}
