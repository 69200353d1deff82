## Checks 6 to 9: files.
import std/[algorithm, os, posix, strutils]
import given

const
  bigBytes = 10 shl 20   # what `big` writes
  pieceBytes = 64 shl 10 # how much of it at a time

proc hexadecimal(hash: uint64): string = hash.toHex.toLowerAscii

proc append(path, text: string) =
  let file = open(path, fmAppend)
  defer: file.close()
  file.write(text)

proc files*(given: Given) =
  try:
    let folder = "/data" / given.nonce
    let (a, b, c) = (folder / "a", folder / "b", folder / "c")
    createDir(folder)
    writeFile(a, "one\n")
    echo "files created"
    append(a, "two\n")
    echo "files appended ", getFileSize(a)
    moveFile(a, b)
    echo "files renamed"
    writeFile(c, "")
    var names: seq[string]
    for _, path in walkDir(folder, relative = true): names.add path
    echo "files listed ", names.sorted.join(" ")
    echo "files read ", fnv1a(readFile(b)).hexadecimal
    removeFile(b)
    removeFile(c)
    removeDir(folder)
    echo "files removed"
    echo "files ", if dirExists(folder): "there" else: "gone"
  except OSError, IOError:
    echo "files failed ", getCurrentExceptionMsg()

proc missing*(given: Given) =
  var file: File
  let opened = file.open("/data/missing-" & given.nonce)
  let what = if not opened and osLastError() == OSErrorCode(ENOENT): "not-found" else: "other"
  if opened: file.close()
  echo "missing ", what, " ", given.nonce

template attempt(what: untyped): string =
  ## Whether it was refused.
  try:
    what
    "allowed"
  except OSError, IOError: "refused"

proc readonly*(given: Given) =
  const fixed = "/texts/fixed.txt"
  let opened = attempt(open(fixed, fmReadWriteExisting).close())
  let created = attempt(writeFile("/texts/new-" & given.nonce, ""))
  let removed = attempt(removeFile(fixed))
  echo "readonly ", opened, " ", created, " ", removed
  try: echo "readonly read ", fnv1a(readFile(fixed)).hexadecimal
  except IOError as error: echo "readonly failed ", error.msg

proc tryBig(given: Given) =
  let path = "/data/big-" & given.nonce
  var generator = splitMix64(given.seed)
  block write:
    let file = open(path, fmWrite)
    defer: file.close()
    for _ in 1 .. bigBytes div pieceBytes: file.write(generator.bytes(pieceBytes))
  var (length, hash) = (0, fnvStart)
  block read:
    let file = open(path)
    defer: file.close()
    var piece: array[pieceBytes, char]
    while (let count = file.readChars(piece); count > 0):
      length += count
      hash = fnv1a(piece.toOpenArray(0, count - 1), hash)
  removeFile(path)
  echo "big ", length, " ", hash.hexadecimal

proc big*(given: Given) =
  try: tryBig(given)
  except OSError, IOError: echo "big failed ", getCurrentExceptionMsg()
  echo "big ", given.nonce
