## The contract app in Nim; `tests/polyglot/contract.md` says what each check does.
import std/[monotimes, os, sets, strutils, times]
import given, failures, files, services

proc args(given: Given) =
  for position, argument in given.more: echo "arg ", position, " ", argument.len, " ", argument
  echo "args ", given.nonce

proc variables(given: Given) =
  for name in given.more:
    if existsEnv(name): echo "env ", name, "=", getEnv(name)
    else: echo "env ", name, " absent"
  echo "env ", given.nonce

proc standardInput(given: Given) =
  let bytes = stdin.readAll()
  echo "stdin ", bytes.len, " ", fnv1a(bytes).toHex.toLowerAscii
  echo "stdin ", given.nonce

proc streams(given: Given) =
  for i in 0 ..< 50:
    echo "out ", i, " ", given.nonce
    stderr.writeLine("err ", i, " ", given.nonce)

proc clocks(given: Given) =
  var last = getMonoTime()
  var forward = true
  for _ in 1 .. 1000:
    let now = getMonoTime()
    forward = forward and now >= last
    last = now
  let start = getMonoTime()
  while getMonoTime() - start < initDuration(milliseconds = 5): discard
  echo "clocks ", if forward: "monotonic" else: "backwards"
  let wall = getTime().toUnix
  let within = given.more.len >= 2 and wall in parseBiggestInt(given.more[0]) .. parseBiggestInt(given.more[1])
  echo "clocks ", if within: "within" else: "outside"
  echo "clocks ", given.nonce

# `std/sysrandom` makes a call of Linux; this is what the C library has for all systems.
proc getentropy(into: pointer, length: csize_t): cint {.importc, header: "<unistd.h>".}

proc draw(): array[16, byte] =
  if getentropy(addr result, csize_t(result.len)) != 0: raiseOSError(osLastError())

proc random() =
  var drawn: HashSet[array[16, byte]]
  for _ in 1 .. 64: drawn.incl draw()
  echo "random ", drawn.len, " distinct"
  var hexadecimal = ""
  for b in draw(): hexadecimal.add b.toHex.toLowerAscii
  echo "random ", hexadecimal

proc sleeps(given: Given) =
  let time = if given.more.len > 0: parseInt(given.more[0]) else: 0
  let start = getMonoTime()
  sleep(time)
  echo "sleep ", if getMonoTime() - start >= initDuration(milliseconds = time): "enough" else: "short"
  echo "sleep ", given.nonce

proc numbers(given: Given) =
  echo "signed ", cast[int64](given.seed)
  echo "unsigned ", given.seed
  echo "least ", int64.low
  echo "most ", int64.high
  var generator = splitMix64(given.seed)
  for _ in 1 .. 4:
    # Below 2^40, so that it is exact; an integer first, so that zero has no sign.
    let eighths = int64(generator.next mod (1'u64 shl 40)) - (1'i64 shl 39)
    echo "fixed ", formatFloat(float(eighths) / 8, ffDecimal, 3)

proc main(): int =
  let words = commandLineParams()
  let check = if words.len > 0: words[0] else: ""
  var given = Given()
  if words.len > 1: given.seed = parseBiggestUInt(words[1])
  if words.len > 2: given.nonce = words[2]
  if words.len > 3: given.more = words[3 .. ^1]
  case check
  of "exit":
    echo "exit ", given.nonce
    return int(1 + given.seed mod 100)
  of "args": args(given)
  of "env": variables(given)
  of "stdin": standardInput(given)
  of "streams": streams(given)
  of "files": files(given)
  of "missing": missing(given)
  of "readonly": readonly(given)
  of "big": big(given)
  of "clocks": clocks(given)
  of "random": random()
  of "sleep": sleeps(given)
  of "memory": memory(given)
  of "loop": endless(given)
  of "recursion": recursion(given)
  of "uncaught": uncaught(given)
  of "dial": dials(given)
  of "serve": serves(given)
  of "refused": refused(given)
  of "numbers": numbers(given)
  else:
    stderr.writeLine("there is no check `", check, "`")
    return 64

quit(main())
