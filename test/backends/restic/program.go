//go:build tools

// Names the program that is built from this module.
package program

import _ "github.com/restic/restic/cmd/restic"
