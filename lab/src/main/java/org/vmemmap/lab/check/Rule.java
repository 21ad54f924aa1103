// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

/**
 * Something that must hold.
 *
 * @param name its name in reports
 * @param statement what must hold, in one line
 * @param reason why the kernel needs it
 * @param cost how the time to check it grows, and what one takes; or the rule that it is checked with
 * @param file kernel file that is to keep it
 * @param symbol kernel function that is to keep it
 */
public record Rule(
    String name, String statement, String reason, String cost, String file, String symbol) {}
