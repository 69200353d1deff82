package main

import "fmt"

// held keeps what memory takes alive.
var held [][]byte

func memory(given given) {
	fmt.Println("memory", given.nonce)
	for {
		piece := make([]byte, 1<<20)
		for i := range piece {
			piece[i] = 1
		}
		held = append(held, piece)
	}
}

func loop(given given) {
	fmt.Println("loop", given.nonce)
	for number := given.seed; ; {
		number = number*6364136223846793005 + 1442695040888963407
	}
}

func recursion(given given) {
	fmt.Println("recursion", given.nonce)
	fmt.Println(depth(given.seed | 1))
}

// depth never ends: what is added after the call keeps it from being a loop.
func depth(number uint64) uint64 {
	if number == 0 {
		return 0
	}
	return depth(number+2) + (number ^ 1)
}

func uncaught(given given) {
	fmt.Println("uncaught-next", given.nonce)
	panic("uncaught " + given.nonce)
}
