package router

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Access is how a router may be called. The zero value is for one on this machine that asks nobody who it is.
type Access struct {
	// TLS trusts the system's authorities, and those of the file that SSL_CERT_FILE names.
	TLS bool
	// TokenFile has a bearer token. It is read anew for each call and stream, so that it may be replaced meanwhile.
	TokenFile string
}

// TLSFlag defines the flag of that name.
func (a *Access) TLSFlag() {
	flag.BoolVar(&a.TLS, "tls", false, "the router speaks TLS; for an authority of your own set SSL_CERT_FILE")
}

func (a Access) options() []grpc.DialOption {
	var options []grpc.DialOption
	if a.TLS {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12})))
	}
	if a.TokenFile != "" {
		options = append(options, grpc.WithPerRPCCredentials(tokenFile(a.TokenFile)))
	}
	return options
}

type tokenFile string

func (f tokenFile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	token, err := os.ReadFile(string(f))
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return map[string]string{"authorization": "Bearer " + strings.TrimSpace(string(token))}, nil
}

// RequireTransportSecurity is false, for a router on this machine speaks cleartext.
func (tokenFile) RequireTransportSecurity() bool { return false }
