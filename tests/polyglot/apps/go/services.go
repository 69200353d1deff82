package main

import (
	"errors"
	"fmt"
	"io"

	"qyvol/guest/qyv"
)

func dial(given given) {
	if err := dialAll(given); err != nil {
		fmt.Println("dial failed", err)
	}
}

func dialAll(given given) error {
	for _, kind := range []string{"lines", "frames"} {
		service := map[string]string{"lines": "service://polyglot-echo", "frames": "service://polyglot-frames"}[kind]
		conn, err := qyv.Dial(service)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SendText(given.nonce); err != nil {
			return err
		}
		text, err := conn.RecvText()
		if err != nil {
			return err
		}
		fmt.Println("dial", kind, text)
		if kind == "lines" {
			continue
		}
		generator := splitMix64(given.seed)
		if err := conn.Send(generator.bytes(100_000)); err != nil {
			return err
		}
		bytes, err := conn.Recv()
		if err != nil {
			return err
		}
		fmt.Printf("dial bytes %d %016x\n", len(bytes), fnv1a(bytes))
	}
	return nil
}

func serve(given given) {
	answered, err := serveOne(given.nonce)
	if err != nil {
		fmt.Println("serve failed", err)
	}
	fmt.Println("serve", answered, given.nonce)
}

func serveOne(nonce string) (answered int, err error) {
	listener, err := qyv.Listen("polyglot-served", qyv.Lines)
	if err != nil {
		return 0, err
	}
	conn, err := listener.Accept()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	for {
		line, err := conn.RecvText()
		if err == io.EOF {
			return answered, nil
		}
		if err == nil {
			err = conn.SendText("served " + line + " " + nonce)
		}
		if err != nil {
			return answered, err
		}
		answered++
	}
}

func refused(given given) {
	conn, err := qyv.Dial("service://polyglot-secret")
	switch {
	case err == nil:
		conn.Close()
		fmt.Println("refused connected", given.nonce)
	case errors.Is(err, qyv.ErrDenied):
		fmt.Println("refused denied", given.nonce)
	default:
		fmt.Println("refused other", given.nonce)
	}
}
