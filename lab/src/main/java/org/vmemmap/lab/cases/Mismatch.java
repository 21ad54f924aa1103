// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

/**
 * A fact in which model and kernel differ.
 *
 * @param step number of the step in the case, from 0; -1 for the case as a whole
 * @param label the step's name
 * @param path where the fact stands, as in {@code zones[0].spannedPages}
 * @param expected what the kernel showed
 * @param actual what the model shows
 */
public record Mismatch(int step, String label, String path, String expected, String actual) {}
