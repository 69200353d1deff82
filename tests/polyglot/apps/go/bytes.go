package main

import "encoding/binary"

// splitMix64 is a generator whose state is the seed (Steele, Lea and Flood, 2014).
type splitMix64 uint64

func (s *splitMix64) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// bytes are the next so many, a multiple of 8 unless they are the last.
func (s *splitMix64) bytes(size int) []byte {
	var bytes []byte
	for len(bytes) < size {
		bytes = binary.LittleEndian.AppendUint64(bytes, s.next())
	}
	return bytes[:size]
}

// fnv1a of 64 bits.
func fnv1a(bytes []byte) uint64 { return fnv1aMore(0xcbf29ce484222325, bytes) }

// fnv1aMore goes on from the hash of what came before.
func fnv1aMore(hash uint64, bytes []byte) uint64 {
	for _, b := range bytes {
		hash = (hash ^ uint64(b)) * 0x100000001b3
	}
	return hash
}
