package grammar

// Rules that schemas are built of. Blanks are few: a model that may write any
// number of them sometimes does nothing else.
const (
	ruleSpace   = `ws ::= | " " | "\n" [ \t]{0,20}` + "\n"
	ruleString  = `string ::= "\"" char* "\""` + "\n"
	ruleChar    = `char ::= [^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CefEF] hex hex hex | [dD] ([0-7] hex hex | [89abAB] hex hex "\\u" [dD] [c-fC-F] hex hex)))` + "\n"
	ruleHex     = `hex ::= [0-9a-fA-F]` + "\n"
	ruleInteger = `integer ::= "-"? ("0" | [1-9] [0-9]{0,15})` + "\n"
	ruleNumber  = `number ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?` + "\n"
	ruleBoolean = `boolean ::= "true" | "false"` + "\n"
	ruleNull    = `null ::= "null"` + "\n"
	ruleValue   = `value ::= object | array | string | number | boolean | null` + "\n"
	ruleObject  = `object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? ws "}"` + "\n"
	ruleArray   = `array ::= "[" ws (value ("," ws value)*)? ws "]"` + "\n"

	rules = ruleSpace + ruleString + ruleChar + ruleHex + ruleInteger + ruleNumber + ruleBoolean + ruleNull + ruleValue + ruleObject + ruleArray
)

// JSON is the grammar of any JSON object, as clients expect of "JSON mode".
func JSON() string { return "root ::= object\n" + rules }
