// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Writes unicode_tables.inc from Go's own Unicode tables:
//
//	go run generate_unicode.go > unicode_tables.inc
package main

import (
	"fmt"
	"strconv"
	"unicode"
)

func ranges(name string, in func(rune) bool) {
	fmt.Printf("constexpr Range %s[] = {\n", name)
	start := rune(-1)
	column := 0
	for r := rune(0); r <= unicode.MaxRune+1; r++ {
		inside := r <= unicode.MaxRune && in(r)
		if inside && start < 0 {
			start = r
		} else if !inside && start >= 0 {
			fmt.Printf("{0x%X, 0x%X},", start, r-1)
			if column++; column%8 == 0 {
				fmt.Println()
			}
			start = -1
		}
	}
	fmt.Println("};")
}

// Runs of characters at a distance of `step` that map to themselves plus `delta`.
func mapping(name string, to func(rune) rune) {
	fmt.Printf("constexpr Mapping %s[] = {\n", name)
	type run struct{ first, last, step, delta rune }
	var runs []run
	for r := rune(0); r <= unicode.MaxRune; r++ {
		delta := to(r) - r
		if delta == 0 {
			continue
		}
		if n := len(runs); n > 0 {
			last := &runs[n-1]
			gap := r - last.last
			if last.delta == delta && gap <= 2 && (last.step == 0 || last.step == gap) {
				last.last, last.step = r, gap
				continue
			}
		}
		runs = append(runs, run{r, r, 0, delta})
	}
	for i, x := range runs {
		fmt.Printf("{0x%X, 0x%X, %d, %d},", x.first, x.last, max(x.step, 1), x.delta)
		if i%6 == 5 {
			fmt.Println()
		}
	}
	fmt.Println("};")
}

func main() {
	fmt.Println("// SPDX-License-Identifier: Apache-2.0")
	fmt.Printf("// Made by generate_unicode.go from Unicode %s. clang-format off\n", unicode.Version)
	ranges("kLetters", unicode.IsLetter)
	ranges("kDigits", unicode.IsDigit)
	ranges("kPrintable", strconv.IsPrint)
	ranges("kUpper", unicode.IsUpper)
	ranges("kLower", unicode.IsLower)
	ranges("kNumbers", unicode.IsNumber)
	ranges("kPunctuation", unicode.IsPunct)
	mapping("kToUpper", unicode.ToUpper)
	mapping("kToLower", unicode.ToLower)
	mapping("kToTitle", unicode.ToTitle)
}
