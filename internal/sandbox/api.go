package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/medlogistics/phasegate/internal/command"
	"github.com/medlogistics/phasegate/internal/sandbox/medlogistics"
)

// startAlone starts one API, which users reach directly.
func (s *Sandbox) startAlone(ctx context.Context, self string) error {
	address, service, err := s.startAPI(ctx, self, "api", 0)
	if err != nil {
		return err
	}
	s.env["API_URL"], s.env["API_SERVICE"] = "http://"+address, "exec://"+service
	return nil
}

// notice is how many of the balancer's looks an instance behind it answers with
// the news that it is about to stop.
const notice = 10

// startBalanced starts two instances of the API, which users reach through a
// balancer.
func (s *Sandbox) startBalanced(ctx context.Context, self string) error {
	var addresses []string
	for _, name := range []string{"A", "B"} {
		address, service, err := s.startAPI(ctx, self, "api-"+name, notice)
		if err != nil {
			return err
		}
		addresses = append(addresses, address)
		s.env["API_URL_"+name], s.env["API_SERVICE_"+name] = "http://"+address, "exec://"+service
	}
	front, err := quietAddress(ctx)
	if err != nil {
		return err
	}
	if s.balancer, err = balance(ctx, front, addresses...); err != nil {
		return fmt.Errorf("balance the API's load: %w", err)
	}
	s.env["API_URL"] = "http://" + front
	return nil
}

// startAPI starts an API through its script, as the plan will, and returns its
// address and its script when it is healthy.
func (s *Sandbox) startAPI(ctx context.Context, self, name string, notice int) (address, service string, err error) {
	if address, err = quietAddress(ctx); err != nil {
		return "", "", err
	}
	dir := filepath.Join(s.home.Dir(), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", err
	}
	api := medlogistics.API{
		Listen: address, DatabaseURL: s.database, Domain: s.server.Domain, Audience: audience,
		CAFile: s.server.CAFile, Owner: s.home.LockFile(), Notice: notice,
	}
	if service, err = medlogistics.Script(dir, []string{self, "sandbox-api"}, api.Environment()); err != nil {
		return "", "", err
	}
	s.services = append(s.services, service)
	if err := (command.Command{Argv: []string{service, "start"}}).Run(ctx); err != nil {
		return "", "", fmt.Errorf("start the API: %w", err)
	}
	return address, service, awaitHealth(ctx, "http://"+address+"/health")
}
