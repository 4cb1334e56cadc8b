/** Of a task's metrics the one that tables show: the first that it names, for tasks with several the normalised accuracy. So do the paper's tables. */
export function shownMetric(metrics) {
  return metrics && ('acc_norm' in metrics ? 'acc_norm' : Object.keys(metrics)[0]);
}
