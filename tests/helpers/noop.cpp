// Starts and exits.
int main() {}
