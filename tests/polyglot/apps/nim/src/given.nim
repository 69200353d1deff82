## What the parts of the contract app share.
type
  Given* = object   ## What every check is given.
    seed*: uint64
    nonce*: string
    more*: seq[string] ## The arguments after the nonce.

  SplitMix64* = object
    state: uint64

const fnvStart* = 0xcbf29ce484222325'u64

proc splitMix64*(seed: uint64): SplitMix64 = SplitMix64(state: seed) ## The seed is its first state.

proc next*(generator: var SplitMix64): uint64 =
  generator.state += 0x9e3779b97f4a7c15'u64
  var z = generator.state
  z = (z xor (z shr 30)) * 0xbf58476d1ce4e5b9'u64
  z = (z xor (z shr 27)) * 0x94d049bb133111eb'u64
  z xor (z shr 31)

proc bytes*(generator: var SplitMix64, length: int): string =
  ## The next bytes, whole numbers of which the last is cut.
  result = newString(length)
  var number = 0'u64
  for i in 0 ..< length:
    if i mod 8 == 0: number = generator.next
    result[i] = char(number and 0xff)
    number = number shr 8

proc fnv1a*(bytes: openArray[char], hash = fnvStart): uint64 =
  ## FNV-1a, 64 bits; goes on with a hash when one is given.
  result = hash
  for c in bytes: result = (result xor uint64(c)) * 0x100000001b3'u64
