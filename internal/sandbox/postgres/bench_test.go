package postgres

import "testing"

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		c, err := Start(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Stop(); err != nil {
			b.Fatal(err)
		}
	}
}
