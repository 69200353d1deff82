package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// step says what was done, or why it was not.
func step(err error, done ...any) {
	if err != nil {
		done = []any{"files failed", err}
	}
	fmt.Println(done...)
}

func files(given given) {
	folder := "/data/" + given.nonce
	err := os.Mkdir(folder, 0o777)
	if err == nil {
		err = os.WriteFile(folder+"/a", []byte("one\n"), 0o666)
	}
	step(err, "files created")
	size, err := appendTo(folder+"/a", "two\n")
	step(err, "files appended", size)
	step(os.Rename(folder+"/a", folder+"/b"), "files renamed")
	err = os.WriteFile(folder+"/c", nil, 0o666)
	entries, failed := os.ReadDir(folder)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	step(errors.Join(err, failed), "files listed", strings.Join(names, " "))
	bytes, err := os.ReadFile(folder + "/b")
	step(err, fmt.Sprintf("files read %016x", fnv1a(bytes)))
	step(errors.Join(os.Remove(folder+"/b"), os.Remove(folder+"/c"), os.Remove(folder)), "files removed")
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		fmt.Println("files gone")
	} else {
		fmt.Println("files still there", err)
	}
}

func appendTo(path, text string) (int64, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func missing(given given) {
	word := "other"
	if _, err := os.Open("/data/missing-" + given.nonce); errors.Is(err, fs.ErrNotExist) {
		word = "not-found"
	}
	fmt.Println("missing", word, given.nonce)
}

func readonly(given given) {
	const fixed = "/texts/fixed.txt"
	write, writing := os.OpenFile(fixed, os.O_RDWR, 0)
	create, creating := os.OpenFile("/texts/new-"+given.nonce, os.O_CREATE|os.O_WRONLY, 0o666)
	write.Close()
	create.Close()
	words := []any{"readonly"}
	for _, err := range []error{writing, creating, os.Remove(fixed)} {
		if err == nil {
			words = append(words, "allowed")
		} else {
			words = append(words, "refused")
		}
	}
	fmt.Println(words...)
	bytes, err := os.ReadFile(fixed)
	if err != nil {
		fmt.Println("readonly failed", err)
	}
	fmt.Printf("readonly read %016x\n", fnv1a(bytes))
}

func big(given given) {
	path := "/data/big-" + given.nonce
	size, hash, err := roundTrip(path, given.seed)
	if err = errors.Join(err, os.Remove(path)); err != nil {
		fmt.Println("big failed", err)
	}
	fmt.Printf("big %d %016x\n", size, hash)
	fmt.Println("big", given.nonce)
}

func roundTrip(path string, seed uint64) (size int, hash uint64, err error) {
	file, err := os.Create(path)
	if err != nil {
		return 0, 0, err
	}
	generator := splitMix64(seed)
	for range 160 {
		if _, err := file.Write(generator.bytes(65536)); err != nil {
			return 0, 0, err
		}
	}
	if err := file.Close(); err != nil {
		return 0, 0, err
	}
	if file, err = os.Open(path); err != nil {
		return 0, 0, err
	}
	defer file.Close()
	hash = fnv1a(nil)
	for piece := make([]byte, 65536); ; {
		read, err := file.Read(piece)
		hash = fnv1aMore(hash, piece[:read])
		size += read
		if err == io.EOF {
			return size, hash, nil
		}
		if err != nil {
			return size, hash, err
		}
	}
}
