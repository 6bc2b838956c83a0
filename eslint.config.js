import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'shared/mongodb/assembly/',
      'shared/mongodb/documents.wasm.ts',
      'node_modules/',
      'test/backends/*/build/',
      'actions/',
      'azure-tasks/',
    ],
  },
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // A host method without an await is still async for its callers.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-invalid-void-type': ['error', { allowAsThisParameter: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['shared/**/*.ts', 'scripts/**/*.ts'],
    // What these files cast was looked at: types of libraries that say less than they give, and JSON that a schema has just checked.
    ignores: ['shared/backup/manifest.ts', 'shared/stores/s3/read.ts', 'shared/stores/sftp/files.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'TSAsExpression > TSAsExpression.expression > TSUnknownKeyword.typeAnnotation',
          message:
            'A cast through unknown turns the checker off. Type the value where it comes from; see shared/session/inputs.ts for inputs.',
        },
      ],
    },
  },
);
