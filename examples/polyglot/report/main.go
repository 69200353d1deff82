// The last stage, in Go: asks for the statistics and lays them out as a table.
package main

import (
	"bytes"
	"fmt"
	"log"
	"strings"
	"text/tabwriter"

	"qyvol/guest/qyv"
)

func main() {
	log.SetFlags(0)
	listener, err := qyv.Listen("report", qyv.Lines)
	if err != nil {
		log.Fatal(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer conn.Close()
			if err := answer(conn); err != nil {
				log.Print(err)
			}
		}()
	}
}

// answer sends the table, a message a line; the end of the connection is the end of the table.
func answer(conn *qyv.Conn) error {
	table, err := table()
	if err != nil {
		return err
	}
	for line := range strings.Lines(table) {
		if err := conn.SendText(strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func table() (string, error) {
	stats, err := qyv.Dial("service://samples")
	if err != nil {
		return "", err
	}
	defer stats.Close()
	if err := stats.SendText("report"); err != nil {
		return "", err
	}
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "service\tlines\tmean ms\tdeviation\t95 %\tlongest\t")
	for {
		line, err := stats.RecvText()
		if err != nil {
			return "", err
		}
		if line == "" {
			err := table.Flush()
			return out.String(), err
		}
		fmt.Fprintln(table, line+"\t")
	}
}
