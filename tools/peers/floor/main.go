// Command floor is what any checker of a YAML plan pays before its first check:
// the nodes of the file, and a typed decode of them, by gopkg.in/yaml.v3.
package main

import (
	"fmt"
	"os"

	"gopkg.in/yaml.v3"
)

// untyped is what a program would decode such a plan into with the YAML library
// alone: no positions, no references, no rules.
type untyped struct {
	Version int
	Name    string
	Env     map[string]map[string]any
	Phases  []struct {
		Name, Summary string
		Steps         []struct {
			ID, Task, Summary, Timeout string
			Retry                      struct {
				Times int
				Wait  string
			}
			With map[string]any
		}
	}
}

func main() {
	if err := read(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(path string) error {
	src, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var root yaml.Node
	var into untyped
	if err := yaml.Unmarshal(src, &root); err != nil {
		return err
	}
	return root.Decode(&into)
}
