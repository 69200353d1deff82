## Any cut of the bytes gives the same messages; what is none is refused. Runs as WebAssembly; ends with 0 when all hold.
include qyv/qyv

var passed, failures = 0

template check(what: bool) =
  if what: inc passed
  else:
    inc failures
    stderr.writeLine(astToStr(what), " at line ", instantiationInfo().line)

template raised(what: untyped): Option[ErrorKind] =
  block:
    var kind = none(ErrorKind)
    try: discard what
    except QyvError as error: kind = some(error.kind)
    kind

proc decoded(framing: Framing, bytes: string, step: int): (string, Option[ErrorKind]) =
  ## Feeds bytes in pieces of `step`; gives the messages, each in brackets, and the failure.
  var inbox: Inbox
  var at = 0
  try:
    while true:
      while (let message = inbox.take(framing, "test"); message.isSome): result[0].add "[" & message.get & "]"
      if inbox.ended: break
      let upTo = min(at + step, bytes.len)
      inbox.feed(bytes.toOpenArray(at, upTo - 1))
      at = upTo
  except QyvError as error:
    result[1] = some(error.kind)
    check raised(inbox.take(framing, "test")) == result[1]

proc gives(framing: Framing, bytes, messages: string, failure = none(ErrorKind)) =
  for step in 1 .. bytes.len + 1:
    let got = decoded(framing, bytes, step)
    if got != (messages, failure): stderr.writeLine(escape(bytes), " by ", step, ": ", got)
    check got == (messages, failure)

gives(Lines, "", "")
gives(Lines, "one\ntwo\n", "[one][two]")
gives(Lines, "\n\nlast", "[][][last]")
gives(Lines, "dos\r\nunix\n", "[dos\r][unix]")
gives(Lines, "hé € 🐧\n", "[hé € 🐧]")
gives(Lines, "good\nb\xff\nnever\n", "[good]", some(Malformed))
gives(Lines, "cut \xe2\x82", "", some(Malformed))
gives(Frames, "", "")
gives(Frames, "\3one\0\2\n\n", "[one][][\n\n]")
gives(Frames, "\3on", "", some(Malformed))
gives(Frames, "\x80", "", some(Malformed))
gives(Frames, "\1a\x80\0", "[a]", some(Malformed))
gives(Frames, "\x81\x80\x80\x08", "", some(TooLong))
gives(Frames, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", "", some(TooLong))
gives(Stream, "", "")
check decoded(Stream, "a\nb", 8) == ("[a\nb]", none(ErrorKind))

for size in [0, 1, 127, 128, 16383, 16384, 1 shl 21 - 1, 1 shl 21, messageBytesMax]:
  for framing in [Lines, Frames]:
    let message = repeat('x', size)
    var inbox: Inbox
    inbox.feed(encode(framing, message, "test"))
    check inbox.take(framing, "test") == some(message)

block bound:
  let long = repeat('x', messageBytesMax + 1)
  for framing in [Lines, Frames]: check raised(encode(framing, long, "test")) == some(TooLong)
  var inbox: Inbox
  inbox.feed(long)
  check raised(inbox.take(Lines, "test")) == some(TooLong)
  for none in ["a\nb", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80"]: check raised(encode(Lines, none, "test")) == some(Malformed)

check parse("service://logger") == ("logger", 0)
check parse("service://a-1/65535") == ("a-1", 65535)
for text in ["", "logger", "http://logger", "service://", "service:///1", "service://.info", "service://..", "service://a/..", "service://a/.info", "service://a/",
             "service://a/0", "service://a/01", "service://a/+1", "service://a/65536", "service://a/1/2", "service://-a", "service://a-",
             "service://Logger", "service://a\0", "service://" & repeat('a', 64)]:
  check raised(parse(text)) == some(BadAddress)
  check raised(dial(text)) == some(BadAddress)

block listeners:
  const (fds, names) = ("5,6,7,8", "db/1,db/2,web,tcp://127.0.0.1:80")
  for (name, fd) in [("db", 5), ("db/2", 6), ("web", 7), ("tcp://127.0.0.1:80", 8), ("db/3", -1), ("d", -1), ("tcp:", -1), ("web/1", -1), ("", -1)]:
    check listenerOf(name, fds, names) == fd
  check listenerOf("web", "5", "db,web") == -1
  check listenerOf("", "", "") == -1
  check raised(listen("nobody")) == some(NotOffered)

block descriptions:
  const info = """{"name":"db","description":"\"protocol\":\"stream\"","up":true,"protocol":"frames",
    "ports":[{"port":null,"protocol":"frames","up":true},{"port":80,"protocol":"lines"},{"port":81}]}"""
  check described(info, 0, "test") == Frames
  check described(info, 80, "test") == Lines
  check raised(described(info, 81, "test")) == some(NoProtocol)
  check raised(described(info, 82, "test")) == some(Unknown)
  for text in ["", "{", """{"protocol":"pigeons"}""", """{"protocol":1}""", "[]", "7"]:
    check raised(described(text, 0, "test")) == some(NoProtocol)

check raised(dial("service://nobody")).isSome
for name in ["", ".", "..", "../../etc/passwd", "a/b", "a\0b"]:
  var refused = false
  try: discard secret(name)
  except IOError as error: refused = error.msg.endsWith("is not the name of a secret")
  check refused

echo passed, " passed, ", failures, " failed"
quit(int(failures > 0))
