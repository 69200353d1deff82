## Checks 17 to 19: services, through the SDK.
import std/[options, strutils]
import qyv/qyv
import given

const frameBytes = 100_000 # what is sent in one frame

proc dials*(given: Given) =
  try:
    let lines = dial("service://polyglot-echo")
    lines.send(given.nonce)
    echo "dial lines ", lines.recv().get("")
    lines.close()
    let frames = dial("service://polyglot-frames")
    frames.send(given.nonce)
    echo "dial frames ", frames.recv().get("")
    var generator = splitMix64(given.seed)
    frames.send(generator.bytes(frameBytes))
    let bytes = frames.recv().get("")
    echo "dial bytes ", bytes.len, " ", fnv1a(bytes).toHex.toLowerAscii
    frames.close()
  except QyvError as error:
    echo "dial failed ", error.msg

proc serves*(given: Given) =
  try:
    let client = listen("polyglot-served").accept()
    var lines = 0
    for line in client.messages:
      client.send("served " & line & " " & given.nonce)
      inc lines
    client.close()
    echo "serve ", lines, " ", given.nonce
  except QyvError as error:
    echo "serve failed ", error.msg

proc refused*(given: Given) =
  var what = "connected"
  try: dial("service://polyglot-secret").close()
  except QyvError as error: what = if error.kind == Denied: "denied" else: "other"
  echo "refused ", what, " ", given.nonce
