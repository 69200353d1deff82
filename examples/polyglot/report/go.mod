module report

go 1.24

require qyvol/guest v0.0.0

replace qyvol/guest => ../../../guest/go
