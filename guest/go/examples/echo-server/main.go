// Answers each line of each client with the same line, all clients at once.
package main

import (
	"errors"
	"io"
	"log"
	"net"

	"qyvol/guest/qyv"
)

func main() {
	listener, err := qyv.Listen("echo", qyv.Lines)
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer client.Close()
			for {
				line, err := client.Recv()
				if err == nil {
					err = client.Send(line)
				}
				if err == io.EOF {
					return
				}
				if err != nil {
					log.Print("a client: ", err)
					return
				}
			}
		}()
	}
}
