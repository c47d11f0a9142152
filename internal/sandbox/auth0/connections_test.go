package auth0_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/sandbox/auth0"
)

func TestADeletedConnectionsNameIsFreeOnlyWhenTheDeletionIsOver(t *testing.T) {
	t.Parallel()
	tenant, clock := seeded(func(c *auth0.Config) { c.ConnectionDelete = time.Minute })
	const body = `{"name":"Users","strategy":"auth0"}`
	made := request(tenant, "POST", "/api/v2/connections", body).object(t)
	path := fmt.Sprint("/api/v2/connections/", made["id"])
	first := request(tenant, "DELETE", path, "")
	first.want(t, 202, "")
	clock.advance(time.Second)
	request(tenant, "DELETE", path, "").want(t, 202, first.body)
	request(tenant, "POST", "/api/v2/connections", body).want(t, 409, "")
	clock.advance(time.Minute)
	request(tenant, "DELETE", path, "").want(t, 204, "")
	request(tenant, "POST", "/api/v2/connections", body).want(t, 201, "")
}
