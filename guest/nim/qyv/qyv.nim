## Reach other apps of a Qyvol host by the name of a service, and be reached.
##
## .. code-block:: nim
##   import qyv/qyv
##
##   let logger = dial("service://logger")
##   logger.send("a line")
##   logger.close()
##
## There is nothing underneath but WASI: to dial is to open `/svc/<name>`. Messages are strings, which in Nim may hold any bytes.

import std/[json, options, os, posix, strutils]

const
  messageBytesMax* = 16 shl 20 ## Most bytes of a line, without its end, or of a frame, without its length.
  readBytesMax = 64 shl 10     # of one read of a connection
  lengthBytesMax = 4           # of a frame's length: 28 bits, of which messageBytesMax takes 25
  nameBytesMax = 63            # of a service: that of a DNS label

type
  Framing* = enum ## How messages are told apart: the `proto` of a service.
    Lines   ## UTF-8, each ended by a line feed. A carriage return before it belongs to the line.
    Frames  ## A length in unsigned LEB128, then that many bytes.
    Stream  ## Raw bytes: whatever arrives is a message.

  ErrorKind* = enum ## What a failure is. As text, it says how to mend it.
    Denied = "it was not granted; `permissions: {net: {connect: [...]}}` of the manifest asks for it"
    Unknown = "nobody offers a service of this name; `/svc` lists those that can be dialled"
    Down = "the service is down, or too many wait for it; try again later"
    Reset = "the other side died"
    Revoked = "the grant was taken back"
    Closed = "the connection is closed in this direction"
    TooLong = "a message is longer than 16 MiB; send it in parts"
    Malformed = "this is no message of the service's protocol: a line is UTF-8 without a line break, a frame is whole"
    NoProtocol = "the protocol of the service is not known; name its framing"
    BadAddress = "this is no address of a service; write `service://name` or `service://name/port`"
    NotOffered = "the app has no such listening socket; the manifest names them in `services` and `net.listen`"
    NoServices = "there are no services here; run the program with Qyvol"
    Failed = "the system failed"

  QyvError* = object of IOError ## A service could not be reached or served.
    kind*: ErrorKind
    address*: string ## That of the service, as it was given.

  Inbox = object
    bytes: string
    taken: int              # of the bytes, those that were given out
    searched: int           # of the others, those that hold no line end
    ended: bool
    failed: Option[ErrorKind]

  Connection* = ref object ## Both ways to another app. To be closed.
    fd: cint
    address: string
    framing: Framing
    inbox: Inbox

  Listener* = object ## A listening socket.
    fd: cint
    name: string
    framing: Framing

  Address = tuple[name: string, port: int]

proc fail(kind: ErrorKind, address: string, said = "") {.noreturn.} =
  let text = "`" & address & "`: " & $kind & (if said.len > 0: " (" & said & ")" else: "")
  raise (ref QyvError)(msg: text, kind: kind, address: address)

let notCapable {.importc: "ENOTCAPABLE", header: "<errno.h>".}: cint

proc failSystem(address: string) {.noreturn.} =
  let number = errno
  let kind =
    if number == EACCES: Denied
    elif number == ENOENT: Unknown
    elif number == ECONNREFUSED: Down
    elif number == ECONNRESET: Reset
    elif number == ECONNABORTED: Revoked
    elif number == EPIPE: Closed
    elif number == notCapable: NoServices
    else: Failed
  fail(kind, address, if kind == Failed: $strerror(number) else: "")

# ---- Messages ----

proc isUtf8(text: openArray[char]): bool =
  var at = 0
  while at < text.len:
    let first = text[at].ord
    inc at
    if first < 0x80: continue
    let more = if first in 0xc2..0xdf: 1 elif first in 0xe0..0xef: 2 elif first in 0xf0..0xf4: 3 else: 0
    if more == 0 or text.len - at < more: return false
    # The second byte rules out longer forms than needed, surrogates, and what is above U+10FFFF.
    let low = if first == 0xe0: 0xa0 elif first == 0xf0: 0x90 else: 0x80
    let high = if first == 0xed: 0x9f elif first == 0xf4: 0x8f else: 0xbf
    if text[at].ord notin low..high: return false
    for next in at + 1 ..< at + more:
      if text[next].ord notin 0x80..0xbf: return false
    at += more
  true

proc encode(framing: Framing, message: string, address: string): string =
  ## The message as it goes over a connection.
  if framing != Stream and message.len > messageBytesMax: fail(TooLong, address)
  case framing
  of Stream: result = message
  of Lines:
    if '\n' in message or not isUtf8(message): fail(Malformed, address)
    result = message & "\n"
  of Frames:
    result = newStringOfCap(message.len + lengthBytesMax)
    var left = message.len
    while left >= 0x80:
      result.add chr(left and 0x7f or 0x80)
      left = left shr 7
    result.add chr(left)
    result.add message

proc feed(inbox: var Inbox, bytes: openArray[char]) =
  ## Adds what has arrived; nothing is the end.
  if inbox.taken > 0:
    inbox.bytes.delete(0 .. inbox.taken - 1)
    inbox.taken = 0
  let before = inbox.bytes.len
  inbox.bytes.setLen(before + bytes.len)
  if bytes.len > 0: copyMem(addr inbox.bytes[before], unsafeAddr bytes[0], bytes.len)
  inbox.ended = bytes.len == 0

proc refuse(inbox: var Inbox, kind: ErrorKind, address: string) {.noreturn.} =
  inbox.failed = some(kind)
  fail(kind, address)

proc frameLength(inbox: var Inbox, address: string): tuple[bytes, length: int] =
  ## The length of the frame that begins what was not taken, and in how many bytes it is; none when it has not all arrived.
  for i in 0 ..< inbox.bytes.len - inbox.taken:
    let b = inbox.bytes[inbox.taken + i].ord
    result.length = result.length or (b and 0x7f) shl (7 * i)
    let last = b < 0x80
    if last and b == 0 and i > 0: inbox.refuse(Malformed, address)
    if result.length > messageBytesMax or not last and i + 1 == lengthBytesMax: inbox.refuse(TooLong, address)
    if last:
      result.bytes = i + 1
      return
  result = (0, 0)

proc take(inbox: var Inbox, framing: Framing, address: string): Option[string] =
  ## A message of what has arrived; none when more has to arrive, or nothing comes any more.
  if inbox.failed.isSome: fail(inbox.failed.get, address)
  let left = inbox.bytes.len - inbox.taken
  if left == 0: return
  var (skip, length, after) = (0, left, 0)
  case framing
  of Stream: discard
  of Lines:
    let ending = inbox.bytes.find('\n', inbox.taken + inbox.searched)
    if ending >= 0: (length, after) = (ending - inbox.taken, 1)
    if length > messageBytesMax: inbox.refuse(TooLong, address)
    if ending < 0 and not inbox.ended:
      inbox.searched = left
      return
    inbox.searched = 0
    if not isUtf8(inbox.bytes.toOpenArray(inbox.taken, inbox.taken + length - 1)): inbox.refuse(Malformed, address)
  of Frames:
    (skip, length) = inbox.frameLength(address)
    if skip == 0 or left - skip < length:
      if inbox.ended: inbox.refuse(Malformed, address)
      return
  let start = inbox.taken + skip
  inbox.taken = start + length + after
  some(inbox.bytes[start ..< start + length])

# ---- Addresses and descriptions ----

proc parsePort(text: string): int =
  ## A port in its shortest form, 1 to 65535; else 0.
  if text.len notin 1..5 or text[0] == '0' or not text.allCharsInSet(Digits): return 0
  let port = parseInt(text)
  if port <= 65535: port else: 0

proc parse(address: string): Address =
  const scheme = "service://"
  if not address.startsWith(scheme): fail(BadAddress, address)
  let parts = address[scheme.len .. ^1].split('/')
  let name = parts[0]
  let good = name.len in 1..nameBytesMax and name.allCharsInSet({'a'..'z', '0'..'9', '-'}) and name[0] != '-' and name[^1] != '-'
  result = (name, if parts.len == 2: parsePort(parts[1]) else: 0)
  if not good or parts.len > 2 or parts.len == 2 and result.port == 0: fail(BadAddress, address)

proc described(text: string, port: int, address: string): Framing =
  ## The protocol that the host's description names: of the port that is dialled, or else of the service.
  var named: string
  try:
    let service = parseJson(text)
    if port == 0:
      named = service{"protocol"}.getStr
    else:
      var known = false
      for entry in service{"ports"}.getElems:
        if entry{"port"}.getInt == port: (known, named) = (true, entry{"protocol"}.getStr)
      if not known: fail(Unknown, address)
  except JsonParsingError, ValueError:
    fail(NoProtocol, address)
  case named
  of "lines": Lines
  of "frames": Frames
  of "stream": Stream
  else: fail(NoProtocol, address)

# ---- Connections ----

proc dialAs*(address: string, framing: Framing): Connection =
  ## Dials as `dial` does, whatever the host says of the service.
  let (name, port) = parse(address)
  let path = "/svc/" & name & (if port > 0: "/" & $port else: "")
  let fd = posix.open(path.cstring, O_RDWR)
  if fd < 0: failSystem(address)
  Connection(fd: fd, address: address, framing: framing)

proc close*(conn: Connection) =
  ## Ends the connection. It may be called again.
  if conn.fd >= 0: discard posix.close(conn.fd)
  conn.fd = -1

proc dial*(address: string): Connection =
  ## Dials `service://name` or `service://name/port`, and waits until the connection stands or has failed. How messages are told
  ## apart is what the host says of the service. Raises `QyvError`: `Denied`, `Unknown`, `Down`, `NoProtocol`, `BadAddress`, `NoServices`, `Failed`.
  result = dialAs(address, Stream)
  try:
    let (name, port) = parse(address)
    result.framing = described(readFile("/svc/" & name & "/.info"), port, address)
  except QyvError:
    result.close()
    raise
  except IOError:
    result.close()
    fail(NoProtocol, address)

proc listenerOf(name, fds, names: string): int =
  ## The descriptor of a name in two lists with commas: the first that is called so, or the first port of a service that is.
  let (numbers, listed) = (fds.split(','), names.split(','))
  for exact in [true, false]:
    for i, each in listed:
      let called = if exact: each == name else: each.startsWith(name & "/") and parsePort(each[name.len + 1 .. ^1]) > 0
      if called and i < numbers.len and numbers[i].len in 1..9 and numbers[i].allCharsInSet(Digits): return parseInt(numbers[i])
  -1

proc listen*(name: string, framing = Lines): Listener =
  ## Finds a listening socket of this app by its name: a service of its manifest (`logger`, or `logger/9000` for the one of several
  ## with this port), or an address of `net.listen` as it is written there. `framing` is what `proto` is in the manifest. Raises
  ## `QyvError`: `NotOffered`.
  let wanted = if name.startsWith("service://"): name[10 .. ^1] else: name
  let fd = listenerOf(wanted, getEnv("QYV_LISTEN_FDS"), getEnv("QYV_LISTEN_NAMES"))
  if fd < 0: fail(NotOffered, name)
  Listener(fd: fd.cint, name: name, framing: framing)

proc accept*(listener: Listener): Connection =
  ## Waits for somebody to connect. Raises `QyvError`: `Closed`, when the host takes no more connections for this app, as it is to
  ## stop; `Failed`, and those that wait are kept.
  let fd = posix.accept(SocketHandle(listener.fd), nil, nil)
  # The host closes the listening sockets of an app that is to stop.
  if fd.cint < 0 and errno == EBADF: fail(Closed, listener.name)
  if fd.cint < 0: failSystem(listener.name)
  Connection(fd: fd.cint, address: listener.name, framing: listener.framing)

proc send*(conn: Connection, message: string) =
  ## Sends a message, and waits until the other side's buffer has it. After `TooLong` and `Malformed` nothing was sent and the
  ## connection is as before; the other failures are `Closed`, `Reset`, `Revoked` and `Failed`.
  let packed = encode(conn.framing, message, conn.address)
  var sent = 0
  while sent < packed.len:
    let count = posix.write(conn.fd, unsafeAddr packed[sent], packed.len - sent)
    if count < 0: failSystem(conn.address)
    if count == 0: fail(Closed, conn.address)
    sent += count

proc recv*(conn: Connection): Option[string] =
  ## Waits for a message: a line without its line feed, a frame, or what has arrived of a stream; none is the end. Raises `QyvError`:
  ## `Reset`, `Revoked`, `TooLong`, `Malformed`, `Failed`; what is no message stays so for every later call.
  var piece {.global.}: array[readBytesMax, char]
  while true:
    result = conn.inbox.take(conn.framing, conn.address)
    if result.isSome or conn.inbox.ended: return
    let count = posix.read(conn.fd, addr piece, piece.len)
    if count < 0: failSystem(conn.address)
    conn.inbox.feed(piece.toOpenArray(0, count - 1))

iterator messages*(conn: Connection): string =
  ## Every message until the end; raises what `recv` does.
  while true:
    let message = conn.recv()
    if message.isNone: break
    yield message.get

proc finish*(conn: Connection) =
  ## Says that nothing more is sent. The other side receives what was sent and then the end, and can go on sending.
  if posix.shutdown(SocketHandle(conn.fd), SHUT_WR) < 0: failSystem(conn.address)

proc fd*(conn: Connection): cint = conn.fd ## The descriptor, for `poll`; call `recv` first while `pending`.

proc pending*(conn: Connection): bool = conn.inbox.taken < conn.inbox.bytes.len ## Whether bytes have arrived that `recv` has not given out.

proc secret*(name: string): string =
  ## Reads a secret that the operator gave to this app, as it is: no line break at its end is taken away. Raises `IOError`.
  if name in ["", ".", ".."] or '/' in name or '\0' in name: raise newException(IOError, "`" & name & "` is not the name of a secret")
  readFile("/run/secrets/" & name)
