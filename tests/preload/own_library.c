/* Uses a library that defines allocation functions of its own. */
extern int run(void);
extern void *malloc(unsigned long);
extern void free(void *);

int main(void)
{
    free(malloc(100));
    return run();
}
