// Sends each argument to the service `echo`, and prints what comes back.
package main

import (
	"fmt"
	"log"
	"os"

	"qyvol/guest/qyv"
)

func main() {
	echo, err := qyv.Dial("service://echo")
	if err != nil {
		log.Fatal(err)
	}
	defer echo.Close()
	for _, word := range os.Args[1:] {
		if err := echo.SendText(word); err != nil {
			log.Fatal(err)
		}
		line, err := echo.RecvText()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(line)
	}
}
