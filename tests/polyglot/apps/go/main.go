// The contract app in Go; tests/polyglot/contract.md says what each check does.
package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// given is what every check is given.
type given struct {
	seed  uint64
	nonce string
	more  []string
}

var checks = map[string]func(given){
	"exit": exit, "args": args, "env": env, "stdin": stdin, "streams": streams, "files": files, "missing": missing,
	"readonly": readonly, "big": big, "clocks": clocks, "random": random, "sleep": sleep, "memory": memory,
	"loop": loop, "recursion": recursion, "uncaught": uncaught, "dial": dial, "serve": serve, "refused": refused,
	"numbers": numbers,
}

func main() {
	arguments := append(os.Args[1:], "", "", "")
	check, ok := checks[arguments[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "there is no check `%s`\n", arguments[0])
		os.Exit(64)
	}
	seed, _ := strconv.ParseUint(arguments[1], 10, 64)
	given := given{seed: seed, nonce: arguments[2]}
	if len(os.Args) > 4 {
		given.more = os.Args[4:]
	}
	check(given)
}

func exit(given given) {
	fmt.Println("exit", given.nonce)
	os.Exit(int(1 + given.seed%100))
}

func args(given given) {
	for position, argument := range given.more {
		fmt.Println("arg", position, len(argument), argument)
	}
	fmt.Println("args", given.nonce)
}

func env(given given) {
	for _, name := range given.more {
		if value, ok := os.LookupEnv(name); ok {
			fmt.Printf("env %s=%s\n", name, value)
		} else {
			fmt.Println("env", name, "absent")
		}
	}
	fmt.Println("env", given.nonce)
}

func stdin(given given) {
	bytes, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Println("stdin failed", err)
	}
	fmt.Printf("stdin %d %016x\n", len(bytes), fnv1a(bytes))
	fmt.Println("stdin", given.nonce)
}

func streams(given given) {
	for i := range 50 {
		fmt.Println("out", i, given.nonce)
		fmt.Fprintln(os.Stderr, "err", i, given.nonce)
	}
}

func clocks(given given) {
	start, last, word := time.Now(), time.Duration(0), "monotonic"
	for range 1000 {
		now := time.Since(start)
		if now < last {
			word = "backwards"
		}
		last = now
	}
	for wait := time.Now(); time.Since(wait) < 5*time.Millisecond; {
	}
	fmt.Println("clocks", word)
	bounds := [2]int64{}
	for i, text := range given.more {
		bounds[i%2], _ = strconv.ParseInt(text, 10, 64)
	}
	if wall := time.Now().Unix(); bounds[0] <= wall && wall <= bounds[1] {
		fmt.Println("clocks within")
	} else {
		fmt.Println("clocks outside")
	}
	fmt.Println("clocks", given.nonce)
}

func draw() (bytes [16]byte) {
	// It never fails: crypto/rand says so, and ends the program otherwise.
	rand.Read(bytes[:])
	return bytes
}

func random(given) {
	distinct := map[[16]byte]bool{}
	for range 64 {
		distinct[draw()] = true
	}
	fmt.Printf("random %d distinct\nrandom %x\n", len(distinct), draw())
}

func sleep(given given) {
	milliseconds, _ := strconv.Atoi(given.more[0])
	wait := time.Duration(milliseconds) * time.Millisecond
	start := time.Now()
	time.Sleep(wait)
	if time.Since(start) >= wait {
		fmt.Println("sleep enough")
	} else {
		fmt.Println("sleep short")
	}
	fmt.Println("sleep", given.nonce)
}

func numbers(given given) {
	fmt.Println("signed", int64(given.seed))
	fmt.Println("unsigned", given.seed)
	fmt.Println("least", int64(-1<<63))
	fmt.Println("most", int64(1<<63-1))
	generator := splitMix64(given.seed)
	for range 4 {
		fmt.Printf("fixed %.3f\n", float64(int64(generator.next()%(1<<40))-1<<39)/8)
	}
}
