package traces

import "errors"

func sniffServeGen(head []byte) bool { return len(head) > 262 && string(head[257:262]) == "ustar" }
func openServeGen(in *input) (rows, error) { return nil, errors.New("x") }
