## Sends each argument to the service `echo`, and prints what comes back.
import std/[options, os]
import qyv/qyv

let echoes = dial("service://echo")
for word in commandLineParams():
  echoes.send(word)
  echo echoes.recv().get
echoes.close()
