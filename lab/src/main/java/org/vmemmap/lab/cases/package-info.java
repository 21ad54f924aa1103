// SPDX-License-Identifier: GPL-2.0-only
/**
 * Captured real kernels, and how a model is held against them.
 *
 * <p>The idea: a case file says what a machine was, what was done to it, and what its kernel then
 * showed. {@link org.vmemmap.lab.cases.Replay} does the same to a model and compares everything
 * that the kernel showed, each value as one fact. The model's side of every fact is read from the
 * model ({@link org.vmemmap.lab.cases.ActualState}); the expectation only says where to look.
 *
 * <p>The mechanism: {@link org.vmemmap.lab.cases.CaseFiles} turns a file into {@link
 * org.vmemmap.lab.cases.VmemmapCase}; what stands under {@code expect} stays a tree, whose shape
 * {@link org.vmemmap.lab.cases.Shape} knows. {@code ActualState} grows a tree of the same shape,
 * and {@link org.vmemmap.lab.cases.Comparer} walks both. A key that nobody knows is a mismatch, so
 * that nothing is skipped without a word.
 */
@NullMarked
package org.vmemmap.lab.cases;

import org.jspecify.annotations.NullMarked;
