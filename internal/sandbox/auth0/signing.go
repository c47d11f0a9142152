package auth0

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// A signingKey signs the tenant's tokens with RS256.
type signingKey struct {
	id     string
	public jose.JSONWebKey
	signer jose.Signer
}

func newSigningKey() *signingKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	sum := sha256.Sum256(private.N.Bytes())
	id := hex.EncodeToString(sum[:10])
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: id}},
		(&jose.SignerOptions{}).WithType("JWT"),
	)
	if err != nil {
		panic(err) // the algorithm fits the key
	}
	return &signingKey{
		id:     id,
		public: jose.JSONWebKey{Key: private.Public(), KeyID: id, Algorithm: string(jose.RS256), Use: "sig"},
		signer: signer,
	}
}

func (k *signingKey) sign(claims map[string]any) string {
	token, err := jwt.Signed(k.signer).Claims(claims).Serialize()
	if err != nil {
		panic(err) // claims are plain data
	}
	return token
}

// jwks is GET /.well-known/jwks.json.
func (t *Tenant) jwks(*call) reply {
	return reply{status: http.StatusOK, late: func() any {
		return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{t.key().public}}
	}}
}

// discovery is GET /.well-known/openid-configuration.
func (t *Tenant) discovery(c *call) reply {
	base := "https://" + c.domain + "/"
	return answer(http.StatusOK, document{
		"issuer":                                base,
		"authorization_endpoint":                base + "authorize",
		"token_endpoint":                        base + "oauth/token",
		"userinfo_endpoint":                     base + "userinfo",
		"jwks_uri":                              base + ".well-known/jwks.json",
		"scopes_supported":                      []string{"openid", "profile", "offline_access", "email"},
		"response_types_supported":              []string{"code", "token", "id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"HS256", "RS256", "PS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post", "private_key_jwt"},
		"claims_supported":                      []string{"aud", "exp", "iat", "iss", "sub", "email", "email_verified", "name", "nickname", "picture"},
	})
}
