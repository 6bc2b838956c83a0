// Real servers on a machine that is busy elsewhere: a failed test gets one more try, and its first failure is printed all the same.
import { jest } from '@jest/globals';

jest.retryTimes(1, { logErrorsBeforeRetry: true });
