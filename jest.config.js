// Tests run as native ES modules on Node 24 (`--experimental-vm-modules`), compiled file by file with swc.
// unit: no network, milliseconds. integration: real servers. acceptance: the built bundles as black boxes.
const common = {
  testEnvironment: 'node',
  // Not among the temporary files, of which each run has its own.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2024', parser: { syntax: 'typescript' }, experimental: { keepImportAttributes: true } },
        module: { type: 'es6' },
      },
    ],
  },
};
const project = (name) => ({ ...common, displayName: name, testMatch: [`<rootDir>/test/**/*.${name}.test.ts`] });

export default {
  // Long enough for a machine that is busy elsewhere: a test that hangs is found all the same, only later.
  testTimeout: 180_000,
  // In worker processes, even where there is one only: a file that takes its process down fails alone, and memory does not pile up.
  workerIdleMemoryLimit: '1GB',
  projects: [
    project('unit'),
    { ...project('integration'), setupFilesAfterEnv: ['<rootDir>/test/support/once-more.js'] },
    {
      ...project('acceptance'),
      setupFilesAfterEnv: ['<rootDir>/test/support/once-more.js'],
      globalSetup: '<rootDir>/test/acceptance/global-setup.js',
    },
  ],
};
