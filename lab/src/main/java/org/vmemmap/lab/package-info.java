// SPDX-License-Identifier: GPL-2.0-only
/**
 * The user's bench: boots machines, looks at them, replays captured kernels, and reports.
 *
 * <p>Packages, each knowing only those before it: {@code boot} makes a machine and boots it, {@code
 * observe} reads it from outside and checks what must hold, {@code cases} replays a captured kernel
 * on it, {@code report} tells what happened to its memmap, {@code cli} is the command line.
 */
@NullMarked
package org.vmemmap.lab;

import org.jspecify.annotations.NullMarked;
