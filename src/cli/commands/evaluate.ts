/** `harmonid evaluate`: how accurate is the model on photos of yours? One file a protocol. */
import { Command } from 'commander';
import type { Run } from '../run.js';
import { calibrationEvaluation } from './evaluate-calibration.js';
import { reportEvaluation } from './evaluate-report.js';
import { clusteringEvaluation } from './evaluate-clustering.js';
import { identificationEvaluation } from './evaluate-identification.js';
import { robustnessEvaluation } from './evaluate-robustness.js';
import { compareEvaluation } from './evaluate-compare.js';
import { dimensionsEvaluation } from './evaluate-dimensions.js';
import { rolloutEvaluation } from './evaluate-rollout.js';
import { verificationEvaluation } from './evaluate-verification.js';
import { videoEvaluation } from './evaluate-video.js';

export function evaluateCommand(run: Run): Command {
  const command = new Command('evaluate')
    .summary('measure the accuracy of a model')
    .description('Measures the accuracy of a model pack on labelled photos.');
  command.addHelpText(
    'after',
    '\nExamples:\n  $ harmonid evaluate report --images ./people --out ./report\n  $ harmonid evaluate verification --images ./lfw --pairs pairs.txt\n' +
      '  $ harmonid evaluate rollout --from dlib-resnet-v1 --to arcface-r50 --images ./people',
  );
  command.addCommand(reportEvaluation(run));
  command.addCommand(verificationEvaluation(run));
  command.addCommand(calibrationEvaluation(run));
  command.addCommand(clusteringEvaluation(run));
  command.addCommand(identificationEvaluation(run));
  command.addCommand(robustnessEvaluation(run));
  command.addCommand(dimensionsEvaluation(run));
  command.addCommand(compareEvaluation(run));
  command.addCommand(rolloutEvaluation(run));
  command.addCommand(videoEvaluation(run));
  return command;
}
