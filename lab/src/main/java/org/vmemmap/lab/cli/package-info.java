// SPDX-License-Identifier: GPL-2.0-only
/**
 * The command line: {@code boot}, {@code replay} and {@code dump}.
 *
 * <p>Idea: a command does what an admin would do and says in one line what was wrong with what it
 * was given. Exit code 0 means done, 1 that the machine or a comparison failed, 2 that the input
 * cannot be used.
 *
 * <p>Mechanism: {@link org.vmemmap.lab.cli.Main} looks at the first word and builds only the
 * command that was asked for, because building a command by its annotations is most of the start-up
 * time. {@link org.vmemmap.lab.cli.MachineOptions} and {@link org.vmemmap.lab.cli.Bench} are what
 * {@code boot} and {@code dump} share: options, and the machine made of them.
 */
@NullMarked
package org.vmemmap.lab.cli;

import org.jspecify.annotations.NullMarked;
