module qyvol/guest

go 1.24
