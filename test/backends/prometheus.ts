// Prometheus, promtool and the push gateway: Debian's packages, unpacked beside the cache; nothing is installed and no root is needed.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { cachedBuild, contentKey, findProgram, freePort, runProgram, startProcess, tempFolder } from './support.ts';

const PACKAGES = ['prometheus', 'prometheus-pushgateway'];

/** Paths of the programs, or why this machine cannot have them. */
export type PrometheusTools = { prometheus: string; promtool: string; pushgateway: string } | { missing: string };

/** Takes what is on PATH, else downloads the packages with apt (about 23 MB, once). */
export async function prometheusTools(): Promise<PrometheusTools> {
  const [prometheus, promtool, pushgateway] = ['prometheus', 'promtool', 'prometheus-pushgateway'].map(findProgram);
  if (prometheus !== undefined && promtool !== undefined && pushgateway !== undefined) return { prometheus, promtool, pushgateway };
  const [apt, dpkg] = [findProgram('apt-get'), findProgram('dpkg-deb')];
  if (apt === undefined || dpkg === undefined) return { missing: 'needs Prometheus and its push gateway, or apt-get to download them' };
  try {
    const folder = await cachedBuild('prometheus', contentKey(...PACKAGES), async (into) => {
      await runProgram(apt, ['download', '--quiet', ...PACKAGES], { cwd: into });
      for (const file of readdirSync(into).filter((name) => name.endsWith('.deb'))) {
        await runProgram(dpkg, ['--extract', join(into, file), into]);
        rmSync(join(into, file));
      }
    });
    const bin = join(folder, 'usr', 'bin');
    return { prometheus: join(bin, 'prometheus'), promtool: join(bin, 'promtool'), pushgateway: join(bin, 'prometheus-pushgateway') };
  } catch (thrown) {
    return {
      missing: `needs Prometheus, which apt did not give: ${thrown instanceof Error ? (thrown.message.split('\n')[0] ?? '') : String(thrown)}`,
    };
  }
}

export interface PushGateway {
  url: string;
  stop(): Promise<void>;
}

/** Starts a push gateway on a free port. */
export async function startPushGateway(program: string): Promise<PushGateway> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const server = await startProcess(program, [`--web.listen-address=${new URL(url).host}`], { ready: () => answers(`${url}/-/ready`) });
  return { url, stop: () => server.stop() };
}

export interface Prometheus {
  url: string;
  /** The value of each series that a query gives, by its labels as JSON. */
  query(expression: string): Promise<{ labels: Record<string, string>; value: number }[]>;
  stop(): Promise<void>;
}

/** Starts a Prometheus that scrapes some hosts every second. */
export async function startPrometheus(program: string, targets: string[]): Promise<Prometheus> {
  const folder = tempFolder('prometheus');
  const url = `http://127.0.0.1:${await freePort()}`;
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [{ job_name: 'test', honor_labels: true, static_configs: [{ targets }] }],
  };
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const server = await startProcess(
    program,
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${new URL(url).host}`,
    ],
    { ready: () => answers(`${url}/-/ready`) },
  );
  return {
    url,
    async query(expression) {
      const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`);
      const { data } = (await response.json()) as { data: { result: { metric: Record<string, string>; value: [number, string] }[] } };
      return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false,
  );
}
