// The file that a new rule starts from: commented, and right as it stands; may depend on nothing.

/**
 * A rule that passes `lightfoot policy test` as it is, for a person to change line by line.
 *
 * @param asOf the day of writing, ISO
 */
export function skeletonOf(id: string, asOf: string): string {
  return `# A rule of your own. Change every line, then run: lightfoot policy test --pack <this folder>
id: ${id} # stable; never used again for another rule
title: { en: "PUE of our sites", zh: "本公司站点的 PUE" }
jurisdiction: own # ISO code of the country, EU, or who set the rule
kind: environment # environment, ai-law, safety, privacy, tax, investment, research, procurement
status: teamDefault # inForce, adopted, proposal, voluntary, teamDefault, expired
appliesTo: [data-center-operator] # roles; the first is that of the fixtures
from: ${asOf} # first day; \`to:\` is the last, where there is one

# Whom it is for, in CEL over the fields that \`lightfoot policy fields\` lists. Leave out when the role says it all.
when: "dc.itPowerKw >= 100.0"

# Numbers apart from conditions: dated, each with its reference and how far it was verified
# (verified, secondary, unverified). \`market: true\` beside unit marks a price that is stale after 90 days.
parameters:
  pueMax:
    unit: "1"
    values:
      - { from: ${asOf}, value: 1.3, ref: "where the number stands", mark: unverified }

# What has to hold. Numbers in CEL carry a decimal point. Without \`require\`, \`manual: { en, zh }\` says what a person does.
require: "dc.pueAnnual <= param.pueMax"

# Money that the rule costs or brings, where a formula gives it:
# amount:
#   currency: EUR
#   means: { en: "Penalty in a year.", zh: "年度罚款。" }
#   formula: "(dc.pueAnnual - param.pueMax) * dc.itEnergyKwh * 0.1"

severity: warning # breach, warning, information
explain:
  en: "Our sites of 100 kW or more keep an annual mean PUE of at most 1.3."
  zh: "本公司 100 kW 及以上站点的年均 PUE 不高于 1.3。"
source:
  url: https://example.org/our-rule # where the text stands
  readOn: ${asOf}
  mark: unverified

# At least a case that passes, one that fails, one that is unknown, and the values at the limit.
fixtures:
  - { name: "at the limit", asOf: ${asOf}, evidence: { dc.itPowerKw: 100.0, dc.pueAnnual: 1.3 }, outcome: pass }
  - { name: "a hair above", asOf: ${asOf}, evidence: { dc.itPowerKw: 100.0, dc.pueAnnual: 1.300000001 }, outcome: fail }
  - { name: "not measured", asOf: ${asOf}, evidence: { dc.itPowerKw: 100.0 }, outcome: unknown }
  - { name: "too small", asOf: ${asOf}, evidence: { dc.itPowerKw: 99.9, dc.pueAnnual: 2.0 }, outcome: notApplicable }
`;
}
