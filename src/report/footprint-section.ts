// The report's section on carbon, water and money: what each model's use makes at its place, by which intensity and price; may depend on quantity, footprint, pipeline and this room.
import type { Footprint, GridEmissions } from "../footprint/footprint-schema.ts";
import type { Dossier } from "../pipeline/dossier-schema.ts";
import type { Figure } from "../quantity/figure.ts";
import { formatFigure } from "../quantity/format.ts";
import { html, type Html } from "./html.ts";
import { methodGlyph } from "./marks.ts";
import type { Messages } from "./messages.ts";

/** How the carbon of every model was counted, and what this run itself made; undefined when no model has an energy. */
export function footprintSection(dossier: Dossier, messages: Messages): Html | undefined {
  const words = messages.footprint;
  const first = dossier.models.find(({ footprint }) => footprint !== null)?.footprint;
  if (!first) return undefined;
  const run = dossier.runFootprint;
  return html`<p>${dossier.where === null ? words.nowhere : words.at(first.place?.name ?? dossier.where)}</p>
    <p class="quiet">${words.note}</p>
    <dl>
      ${factorsOf(first, messages).map(
        ([term, part, more]) =>
          html`<dt>${term}</dt>
            <dd>
              ${methodGlyph(part.method, messages.method[part.method])}${formatFigure(part)}${more !== "" && ` · ${more}`}
            </dd>`,
      )}
    </dl>
    <p class="after">${words.run(formatFigure(dossier.runEnergy))}</p>
    <dl>
      ${amountsOf(run, messages).map(
        ([term, part]) =>
          html`<dt>${term}</dt>
            <dd>
              ${methodGlyph(part.method, messages.method[part.method])}${formatFigure(part)} ·
              ${words.covers[part.boundary]}
            </dd>`,
      )}
    </dl>`;
}

type Factor = readonly [term: string, figure: Figure, more: string];

function factorsOf(footprint: Footprint, messages: Messages): Factor[] {
  const words = messages.footprint;
  const { emissions, water, money, powerUsageEffectiveness } = footprint;
  const rows: Factor[] = [
    [words.intensity, emissions.locationBased.intensity, methodOf(emissions.locationBased, messages)],
    ...emissions.otherMethods.map((other): Factor => [words.otherMethod, other.intensity, methodOf(other, messages)]),
    [words.pue, powerUsageEffectiveness, ""],
    [words.wue, water.waterUsageEffectiveness, ""],
    [words.gridWater, water.gridWater, ""],
  ];
  const { electricity } = money;
  if (electricity !== null) {
    const age = electricity.priceYear === null ? "" : words.priceOf(electricity.priceYear, electricity.isStale);
    rows.push([words.price, electricity.price, age]);
  }
  return rows;
}

function methodOf({ kind, scope, basis, vintage, dataset }: GridEmissions, { footprint: words }: Messages): string {
  return [words.kind[kind], words.scope[scope], words.basis[basis], vintage, dataset]
    .filter((word) => word !== "")
    .join(" · ");
}

type Amount = readonly [term: string, figure: Figure & { readonly boundary: Footprint["boundary"] }];

function amountsOf({ emissions, water, money }: Footprint, messages: Messages): Amount[] {
  const words = messages.footprint;
  return [
    [words.carbon, emissions.locationBased],
    [words.water, water.consumption],
    ...(money.electricity === null ? [] : [[words.cost, money.electricity] as const]),
  ];
}

/** A round number of inferences in words: `1 million inferences`. */
export const inferencesOf = (dossier: Dossier, messages: Messages): string =>
  messages.footprint.inferences[dossier.footprintInferences];
