package sandbox

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/medlogistics/phasegate/internal/command"
)

func TestNoRequestFailsWhileTheInstancesAreRestartedOneAtATime(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Users: 60, Balanced: true})
	key := s.people.User(1).APIKey // a nurse's
	var order string
	if err := connect(t, s).QueryRow(t.Context(), "select id::text from medication_orders limit 1").Scan(&order); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan int)
	go func() {
		n := 0
		defer func() { answered <- n }()
		for tick := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; n++ {
			if status, body := ask(t, client, "GET", s.env["API_URL"]+"/api/me", "X-API-Key", key, nil); status != 200 {
				t.Errorf("read %d: %d %s", n, status, body)
			}
			if status, body := ask(t, client, "POST", s.env["API_URL"]+"/api/administrations", "X-API-Key", key, map[string]string{"order_id": order}); status != 201 {
				t.Errorf("write %d: %d %s", n, status, body)
			}
			<-tick.C
		}
	}()
	for _, instance := range []string{"API_SERVICE_A", "API_SERVICE_B"} {
		script := strings.TrimPrefix(s.env[instance], "exec://")
		for _, action := range []string{"stop", "start"} {
			if err := (command.Command{Argv: []string{script, action}}).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := awaitHealth(t.Context(), s.env[strings.Replace(instance, "SERVICE", "URL", 1)]+"/health"); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if n := <-answered; n < 20 {
		t.Errorf("only %d requests were made meanwhile", n)
	}
}
