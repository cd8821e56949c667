// Package recipe holds what the launch scripts of benchmarks say: which options each
// starts its engine with, as data. A recipe is one YAML file in recipes/, of one script
// or of several that are the same text, and names where the script is published. It is
// applied to a run by its name (`--recipe`), and found for a published row by what the
// row states (package validate).
//
// # A recipe
//
//	name: sglang-r1-fp4-blackwell
//	description: DeepSeek-R1 in FP4 on B200 and B300
//	source: SemiAnalysisAI/InferenceX benchmarks/dsr1_fp4_b200.sh@1fc5d73
//	match: {benchmark: inferencex, engine: sglang, chip: [b200, b300], model: deepseek-r1, precision: fp4, spec: none}
//	set:                                     # scenario path: value
//	  deployment.serve.max_tokens: 16384
//	  deployment.serve.max_sequences: "=max(1, div(clients, serve.dp))"
//	also:                                    # every block whose condition holds, in order
//	  - when: clients >= 16
//	    set: {engine.poll_steps: 30}
//
// match is what a row must state for the recipe to be found by it: one value or a list
// of them; version and snapshot are the beginning of what is stated. A key that is left
// out admits everything. A recipe that is asked for by name is applied whatever match
// says.
//
// set holds values as they stand in a scenario. One that begins with = is an expression
// of github.com/expr-lang/expr over the facts, with two functions besides its own:
// div(a, b) is a/b rounded down, and roundup(a, b) the least multiple of b that holds a.
// A later value of the same path replaces an earlier one: set, then also; what a table
// says of a path goes before both. What the run states goes before all of it. What a
// recipe sets of the mode, the drafts or a pool's degrees counts as a fact in the other
// expressions: a table's in place of the row's, otherwise where the run states none.
//
// base names a recipe, by name or by a path from the file's folder, whose match, table,
// set and also hold where the file says nothing else: a script that differs in three
// lines is a recipe of three lines.
//
// table is a list of deployments whose scripts differ in numbers alone, as a CSV file
// beside the recipe:
//
//	table: {file: deployments.csv, match: [chip, clients, decode.instances]}
//
// The columns that match names are facts, a cell the values (by blanks) of which the run
// must state one, 0 being a number that it does not state; all others are scenario
// paths, an empty cell saying nothing. A recipe with a table is for a run that has a row
// in it.
//
// What a recipe says of a pool (deployment.serve, .prefill, .decode) is for deployments
// that have the pool, and a condition about a pool that is not there does not hold,
// nor one about a pool of which the run says nothing yet.
//
// # Facts
//
// The facts are the fields of Facts and Pool, and nothing else. A fact that an
// expression needs and the run does not state is an error that names it: clients, in an
// open loop; input, where prompts have no nominal length.
//
// # Which recipe a row gets
//
// The narrowest that fits: of two that do, the one whose match admits less, as the
// patterns of net/http.ServeMux go; with the same match, the one with a table. Two that
// may both fit a row without one being narrower are refused when recipes are loaded,
// so the order of files decides nothing.
package recipe
