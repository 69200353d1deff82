## Answers each line of each client with the same line, one client after the other.
import qyv/qyv

let listener = listen("echo")
while true:
  var client: Connection
  try: client = listener.accept()
  except QyvError as error:
    if error.kind == Closed: break # the app is to stop
    raise
  try:
    for line in client.messages: client.send(line)
  except QyvError as error:
    stderr.writeLine("a client: ", error.msg)
  client.close()
