// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

/** A CPU of a scenario saw something that a rule forbids. */
final class RuleBroken extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final String rule;

  RuleBroken(String rule, String detail) {
    super(detail);
    this.rule = rule;
  }

  String rule() {
    return rule;
  }
}
