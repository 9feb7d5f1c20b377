// How each figure was got and what is needed to get it again; may depend on quantity, pipeline and this room.
import type { Dossier } from "../pipeline/dossier-schema.ts";
import { scale, type Figure } from "../quantity/figure.ts";
import { formatCount, formatNumber } from "../quantity/format.ts";
import { inferencesOf } from "./footprint-section.ts";
import { html, type Html } from "./html.ts";
import { methodGlyph } from "./marks.ts";
import type { Messages } from "./messages.ts";

interface Evidence {
  readonly title: string;
  readonly figure: Figure;
}

/** One line for each kind of figure: its method and sources, taken from the figures themselves. */
export function evidenceSection(dossier: Dossier, messages: Messages): Html {
  const { columns } = messages;
  const unknown = [...new Set(dossier.models.flatMap(({ cost }) => cost.unknownOperators))];
  return html`<div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">${columns.figure}</th>
            <th scope="col">${columns.methodColumn}</th>
            <th scope="col">${columns.sources}</th>
          </tr>
        </thead>
        <tbody>
          ${evidenceOf(dossier, messages).map(
            ({ title, figure }) =>
              html`<tr>
                <th scope="row">${title}</th>
                <td>${methodGlyph(figure.method, messages.method[figure.method])}${messages.method[figure.method]}</td>
                <td>${figure.sources.join("; ")}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <h3 style="margin-top:22px">${messages.assumptionsTitle}</h3>
    ${
      dossier.assumptions.length === 0
        ? html`<p>${messages.noAssumptions}</p>`
        : html`<ul>
            ${dossier.assumptions.map(({ key, text }) => html`<li>${text} <code class="quiet">${key}</code></li>`)}
          </ul>`
    }
    ${unknown.length > 0 && html`<p>${messages.unknownOperators(unknown.join(", "))}</p>`}`;
}

function evidenceOf(dossier: Dossier, messages: Messages): Evidence[] {
  const { columns } = messages;
  const inferences = inferencesOf(dossier, messages);
  const found: Evidence[] = [];
  const seen = new Set<string>();
  const add = (title: string, figure: Figure | null | undefined) => {
    if (!figure || figure.sources.length === 0) return;
    const key = JSON.stringify([title, figure.method, figure.sources]);
    if (!seen.has(key)) found.push({ title, figure });
    seen.add(key);
  };
  for (const model of dossier.models) {
    add(columns.accuracy, model.accuracy);
    for (const { batch, median } of model.latency) add(columns.latency(batch), median);
    add(columns.peakMemory, model.peakMemory);
    add(columns.energy, model.energyPerInference && scale(model.energyPerInference, 1000));
    add(columns.footprint.emissions(inferences), model.footprint?.emissions.locationBased);
    add(columns.footprint.water(inferences), model.footprint?.water.consumption);
    add(columns.footprint.cost(inferences), model.footprint?.money.electricity);
    if (dossier.hardware !== null) add(columns.estimated(dossier.hardware), model.cost.estimatedDuration);
  }
  const judged = dossier.candidates.find(({ id }) => id === dossier.selected);
  add(columns.loss, (judged?.test ?? judged?.validation)?.loss);
  return found;
}

/** Versions, seed, digests, machine and times. */
export function reproductionSection(dossier: Dossier, messages: Messages): Html {
  const words = messages.reproduction;
  const { machine, tool } = dossier;
  const machineText = [
    machine.cpuName,
    words.threads(machine.logicalCpuCount),
    formatNumber(machine.memoryBytes, "B", 3),
    `${machine.platform} ${machine.architecture}`,
    ...(machine.isVirtual ? [words.virtual] : []),
  ].join(" · ");
  const rows: [string, Html | string | readonly Html[]][] = [
    [words.version, `${tool.version} · Node ${tool.node}`],
    [words.engine, tool.engine],
    [words.created, dossier.createdAt],
    [words.manifest, html`${dossier.manifest.file} <code class="quiet">${dossier.manifest.digest}</code>`],
    [words.seed, String(dossier.seed)],
    [words.machine, machineText],
    ...(dossier.hardware === null ? [] : [[words.hardware, dossier.hardware] as [string, string]]),
    ...dossier.data.map((entry): [string, Html] => [
      `${words.data}: ${messages.split[entry.role]}`,
      html`${entry.name} · ${words.samples(formatCount(entry.sampleCount))} <code class="quiet">${entry.digest}</code>`,
    ]),
    ...dossier.models.map((model): [string, Html] => [
      messages.roles[model.role],
      html`${model.file} <code class="quiet">${model.digest}</code>`,
    ]),
    ...dossier.stages.map((stage): [string, string] => [
      messages.stage[stage.stage],
      stage.reused
        ? words.reused
        : `${formatNumber(stage.durationSeconds, "s", 3)} · ${words.cpu(formatNumber(stage.cpuSeconds, "s", 3))}`,
    ]),
  ];
  return html`<dl>
    ${rows.map(
      ([term, value]) =>
        html`<dt>${term}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}
