## The third stage, in Nim: keeps what somebody should look at, and drops the rest.

import std/[options, os, strutils]
import qyv/qyv

let slowMs = parseInt(getEnv("SLOW_MS", "100"))

proc matters(record: string): bool =
  ## Warnings, errors, and whatever took long.
  let fields = record.split('\t')
  fields.len >= 3 and (fields[0] in ["WARN", "ERROR"] or parseInt(fields[2]) >= slowMs)

proc serve(client: Connection) =
  let next = dial("service://samples")
  defer: next.close()
  for record in client.messages:
    if not record.matters:
      client.send("dropped")
      continue
    next.send(record)
    let answer = next.recv()
    if answer.isNone: return
    client.send(answer.get)

let records = listen("records")
while true:
  let client = records.accept()
  try:
    client.serve()
  except QyvError, ValueError:
    # Who asked, or who comes next, has gone: the others are served all the same.
    stderr.writeLine getCurrentExceptionMsg()
  client.close()
