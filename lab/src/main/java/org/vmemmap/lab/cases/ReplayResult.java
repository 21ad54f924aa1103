// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.List;

/**
 * What a replay found.
 *
 * @param cases the cases in the order in which they were given
 */
public record ReplayResult(List<CaseResult> cases) {
  /** Copies the list. */
  public ReplayResult {
    cases = List.copyOf(cases);
  }

  /**
   * One case.
   *
   * @param name the case's name
   * @param facts values that were compared
   * @param mismatches those that differ
   */
  public record CaseResult(String name, long facts, List<Mismatch> mismatches) {
    /** Copies the list. */
    public CaseResult {
      mismatches = List.copyOf(mismatches);
    }
  }

  /** Facts of all cases. */
  public long facts() {
    return cases.stream().mapToLong(CaseResult::facts).sum();
  }

  /** Mismatches of all cases. */
  public long mismatches() {
    return cases.stream().mapToLong(one -> one.mismatches().size()).sum();
  }
}
