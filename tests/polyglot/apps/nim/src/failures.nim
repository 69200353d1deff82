## Checks 13 to 16: what ends badly. `echo` flushes.
import given

const
  pieceBytes = 1 shl 20 # how much memory is taken at a time
  pageBytes = 4096      # one byte in each is touched

proc memory*(given: Given) =
  echo "memory ", given.nonce
  var held: seq[seq[byte]]
  while true:
    var piece = newSeq[byte](pieceBytes)
    for at in countup(0, pieceBytes - 1, pageBytes): piece[at] = 1
    held.add piece

proc endless*(given: Given) =
  echo "loop ", given.nonce
  var number {.volatile.} = given.seed
  while true: number = number * 31 + 1

proc deeper(number: uint64): uint64 =
  # What is kept over the call, and used after it, keeps it a call.
  var kept {.volatile.} = number
  deeper(number + 1) + kept

proc recursion*(given: Given) =
  echo "recursion ", given.nonce
  var number {.volatile.} = given.seed
  number = deeper(number)

proc uncaught*(given: Given) =
  echo "uncaught-next ", given.nonce
  raise newException(ValueError, "uncaught " & given.nonce)
