// Bare starts /bin/true a number of times, one after the other, and has a line
// on disk after each: what a durable runner cannot do without, and nothing else.
package main

import (
	"bytes"
	"log"
	"os"
	"os/exec"
	"strconv"
)

func main() {
	n, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	file, err := os.Create("bare.log")
	if err != nil {
		log.Fatal(err)
	}
	line := append(bytes.Repeat([]byte("x"), 999), '\n')
	for range n {
		if err := exec.Command("/bin/true").Run(); err != nil {
			log.Fatal(err)
		}
		if _, err := file.Write(line); err != nil {
			log.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			log.Fatal(err)
		}
	}
}
